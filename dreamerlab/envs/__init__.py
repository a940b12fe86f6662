"""Environments: gymnasium ids made into float32 vectors in, one of N actions out, with every fault named."""
