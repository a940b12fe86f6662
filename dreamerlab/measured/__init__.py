"""The rows of the catalogue of metrics, by what they are measured on; `dreamerlab.metrics` looks them up."""
