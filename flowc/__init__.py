"""In: Metaflow flows, read as text, never imported or run. Out: manifests that Argo Workflows runs."""

__version__ = "0.1.0"
