"""Making media anew: each operation once, for the fixers of media and for builds that make media uniform."""
