"""The real transformers processors of each family, built offline and saved as model folders."""
