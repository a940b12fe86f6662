"""The rules of the protocol: hypotheses and entries as records that prove their order, gates, verdicts, families."""
