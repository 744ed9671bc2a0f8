"""The seven components of VAPO, one module each.

Every module offers `on(settings)` and `off(settings)`, which fill the slot of the same name (off is the baseline the
paper compares with), and `VARIANTS`, other named fillings `name -> (settings -> slot)`.
"""
