"""Configuration: typed leaves with zones, layers with origins, differences, conformance with the reference."""
