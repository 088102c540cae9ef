package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

// keys compares a chart's values with its schema: each value has a schema, each schema a value, each map of named values is closed, and
// each value has the description that its comment in values.yaml gives.
func keys(valuesPath, schemaPath string) error {
	var values, schema object
	text, err := os.ReadFile(valuesPath)
	if err == nil {
		err = yaml.Unmarshal(text, &values)
	}
	if err != nil {
		return err
	}
	comments := comments(string(text))
	if text, err = os.ReadFile(schemaPath); err == nil {
		err = json.Unmarshal(text, &schema)
	}
	if err != nil {
		return err
	}
	if err := compare("", values, schema); err != nil {
		return err
	}
	return described("", schema, comments)
}

// Requests and limits may name any resource.
var open = map[string]bool{"resources.requests.": true, "resources.limits.": true}

func compare(path string, values, schema object) error {
	fields := properties(schema)
	if schema["additionalProperties"] != false && !open[path] {
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
		// A map that is empty by default has its keys in the schema only.
		if _, ok := values[name]; !ok && name != "global" && path != "resources." && len(values) > 0 {
			return fmt.Errorf("%s%s is in the schema, but not in values.yaml", path, name)
		}
	}
	return nil
}

func described(path string, schema object, comments map[string]string) error {
	for name, field := range properties(schema) {
		field, path := field.(object), path+name
		description, _ := field["description"].(string)
		if comment, ok := comments[path]; ok && comment != description {
			return fmt.Errorf("%s is described differently: %q in values.yaml, %q in the schema", path, comment, description)
		}
		if description == "" {
			return fmt.Errorf("%s has no description in the schema", path)
		}
		if err := described(path+".", field, comments); err != nil {
			return err
		}
	}
	return nil
}

var (
	commentLine = regexp.MustCompile(`^ *# -- (.*)$`)
	keyLine     = regexp.MustCompile(`^( *)([A-Za-z_]+):`)
)

// comments are the comments that helm-docs shows, by the path of the value below them. Values are indented by two spaces.
func comments(values string) map[string]string {
	found, comment, path := map[string]string{}, "", []string{}
	for line := range strings.SplitSeq(values, "\n") {
		if match := commentLine.FindStringSubmatch(line); match != nil {
			comment = match[1]
		} else if match := keyLine.FindStringSubmatch(line); match != nil {
			path = append(path[:len(match[1])/2], match[2])
			if comment != "" {
				found[strings.Join(path, ".")] = comment
			}
			comment = ""
		}
	}
	return found
}
