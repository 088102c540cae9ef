//! Parts of the schema that the derives do not express.
