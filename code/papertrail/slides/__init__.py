"""Slides for each chapter, made from its notebook by rule: `deck` states it, `text` shortens what is said."""
