"""Foreign model in, analog graph out: one framework a file, imported only when it is used."""
