"""One file per thing measured; probes read only and know no hypothesis."""
