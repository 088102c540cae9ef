// Only where to find API schemas: nothing here is built.
module schemas

go 1.26.0
