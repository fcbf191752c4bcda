"""What modules do on hosts. Python 3.8 and later."""
