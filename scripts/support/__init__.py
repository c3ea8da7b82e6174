"""How the support table is made: tiny models of each family, and runs of the real llamafactory over them."""
