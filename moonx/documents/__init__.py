"""The interface documents: one OpenAPI, one AsyncAPI, and readable pages made from them."""
