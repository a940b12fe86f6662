"""Environments: gymnasium ids made into arrays by key in, one action array out, with every fault named."""
