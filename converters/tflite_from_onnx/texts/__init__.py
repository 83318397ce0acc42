"""Text in a model, as integer codes: TFLite has no operators on text, but comparing and choosing need none.

Every text the model knows gets a code, so that its graph holds numbers alone. An input of texts becomes int32 codes of
its columns: a place in the column's `categories`, -1 for any other text, -2 for a missing one (MISSING_TEXT). A label
becomes its place in the signature's `classes`. Operators that look into a text (tokens, n-grams) are refused by name.
"""
