"""An example of a method that lives outside the repository of oodml."""
