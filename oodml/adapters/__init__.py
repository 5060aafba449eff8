"""Adapters: what a few labelled images of the test classes change in a trained network. One file each."""
