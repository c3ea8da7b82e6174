"""Shell completion: scripts for bash, zsh and fish, made from the parsers."""
