"""The subcommands that need the trainer."""
