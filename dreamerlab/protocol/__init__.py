"""The rules of the protocol: families of comparable runs."""
