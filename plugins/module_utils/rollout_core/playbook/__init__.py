"""Playbooks as a whole: is one played unchanged, and did it do its work?"""
