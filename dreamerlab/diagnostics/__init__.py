"""Rules over what a trial measured: which symptom a run shows, and which of its symptoms is the cause of the others."""
