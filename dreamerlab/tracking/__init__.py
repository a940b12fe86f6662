"""What surrounds a run: git, the machine, the code it executes, and the two mirrors (DVC carries, MLflow shows).

Local files are the truth; losing any of these never loses a run. Start with `code_identity.py`.
"""
