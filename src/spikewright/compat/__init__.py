"""The words of other tools, on our semantics: thin modules for those who come from there.

Nobody inside imports them, the command line included; ``docs/from-*.md`` have a table from their words to ours.
"""
