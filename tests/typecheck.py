"""The checker that the tests put on every function of `atm`: shapes and types, on every call."""

from beartype import BeartypeConf, beartype

# PEP 484's tower: an int may stand where a float is asked for, as every type checker has it.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
