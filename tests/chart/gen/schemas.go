package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// schemas writes GROUP_KIND_VERSION.json into out, in lower case, each closed: a field that the schema does not name is an error.
func schemas(out, swagger string, kinds, crds []string) error {
	text, err := os.ReadFile(swagger)
	if err != nil {
		return err
	}
	var document struct{ Definitions map[string]object }
	if err := json.Unmarshal(text, &document); err != nil {
		return err
	}
	for _, definition := range document.Definitions {
		gvks, _ := definition["x-kubernetes-group-version-kind"].([]any)
		if len(gvks) != 1 {
			continue
		}
		gvk := gvks[0].(object)
		if !slices.Contains(kinds, gvk["kind"].(string)) {
			continue
		}
		closed := inline(definition, document.Definitions, nil)
		if err := write(out, gvk["group"].(string), gvk["kind"].(string), gvk["version"].(string), closed); err != nil {
			return err
		}
	}
	for _, path := range crds {
		definition, err := readCRD(path)
		if err != nil {
			return err
		}
		spec := definition.Spec
		for _, version := range spec.Versions {
			root := version.Schema.OpenAPIV3Schema
			closed := inline(root, nil, nil).(object)
			properties := closed["properties"].(object)
			properties["apiVersion"], properties["kind"] = object{"type": "string"}, object{"type": "string"}
			properties["metadata"] = object{"type": "object"}
			if err := write(out, spec.Group, spec.Names.Kind, version.Name, closed); err != nil {
				return err
			}
		}
	}
	return nil
}

func write(out, group, kind, version string, schema any) error {
	text, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	if group == "" {
		group = version // as kubeconform calls the core group
	}
	name := strings.ToLower(fmt.Sprintf("%s_%s_%s.json", group, kind, version))
	return os.WriteFile(filepath.Join(out, name), text, 0o644)
}

// inline is node with every $ref replaced by what it names, and every object with properties closed.
func inline(node any, definitions map[string]object, within []string) any {
	switch node := node.(type) {
	case []any:
		items := make([]any, len(node))
		for i, item := range node {
			items[i] = inline(item, definitions, within)
		}
		return items
	case object:
		if ref, ok := node["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, "#/definitions/")
			if slices.Contains(within, name) {
				return object{} // a schema within itself, as JSONSchemaProps is: not followed
			}
			return inline(definitions[name], definitions, append(slices.Clone(within), name))
		}
		if node["format"] == "int-or-string" || node["x-kubernetes-int-or-string"] == true {
			return object{"type": []string{"integer", "string"}}
		}
		closed := object{}
		for key, value := range node {
			switch key {
			case "description", "format", "default":
			case "properties": // names of fields, not words of JSON schema
				fields := object{}
				for name, field := range value.(object) {
					fields[name] = inline(field, definitions, within)
				}
				closed[key] = fields
			default:
				closed[key] = inline(value, definitions, within)
			}
		}
		_, fields := closed["properties"]
		_, more := closed["additionalProperties"]
		if fields && !more && closed["x-kubernetes-preserve-unknown-fields"] != true {
			closed["additionalProperties"] = false
		}
		return closed
	}
	return node
}
