"""Slides that lie elsewhere: OME-Zarr under ``s3://`` and ``http(s)://``, read in parts and with patience."""
