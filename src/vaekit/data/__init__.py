"""Data: specs, arrays, streams, catalogued sets."""
