"""From adjoints to closed forms: fold and unfold names, and keep a form that is cheaper and rounds no worse."""
