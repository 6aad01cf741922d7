"""The library behind the stages: flat modules named after what they do, values and paths in, values out."""
