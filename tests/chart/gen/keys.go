package main

import (
	"encoding/json"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// keys compares a chart's values with its schema: each value has a schema, each schema a value, and each map of named values is closed.
func keys(valuesPath, schemaPath string) error {
	var values, schema object
	text, err := os.ReadFile(valuesPath)
	if err == nil {
		err = yaml.Unmarshal(text, &values)
	}
	if err != nil {
		return err
	}
	if text, err = os.ReadFile(schemaPath); err == nil {
		err = json.Unmarshal(text, &schema)
	}
	if err != nil {
		return err
	}
	return compare("", values, schema)
}

func compare(path string, values, schema object) error {
	fields := properties(schema)
	if schema["additionalProperties"] != false {
		return fmt.Errorf("schema of %q is open: additionalProperties: false is missing", path)
	}
	for name, value := range values {
		field, ok := fields[name].(object)
		if !ok {
			return fmt.Errorf("value %s%s is not in the schema", path, name)
		}
		if inner, ok := value.(object); ok && properties(field) != nil {
			if err := compare(path+name+".", inner, field); err != nil {
				return err
			}
		}
	}
	for name := range fields {
		if _, ok := values[name]; !ok && name != "global" && path != "resources." {
			return fmt.Errorf("%s%s is in the schema, but not in values.yaml", path, name)
		}
	}
	return nil
}
