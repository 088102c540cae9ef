package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
)

const head = `# Reference

Every field of every kind, generated from the CRDs by ` + "`cargo dev generate`" + `: change the Rust types, not this page. ` + "`kubectl explain`" + ` says the same.
**Bold**: required. Rules are what the API server refuses, in its own words.
`

// reference writes docs/reference.md.
func reference(out io.Writer, crds []string) error {
	fmt.Fprint(out, head)
	for _, path := range crds {
		definition, err := readCRD(path)
		if err != nil {
			return err
		}
		spec := definition.Spec
		for _, version := range spec.Versions {
			root := version.Schema.OpenAPIV3Schema
			fmt.Fprintf(out, "\n## %s\n\n`%s/%s`, scope %s, short name `%s`. %s\n", spec.Names.Kind, spec.Group, version.Name,
				strings.ToLower(spec.Scope), strings.Join(spec.Names.ShortNames, "`, `"), text(root))
			for _, part := range []string{"spec", "status"} {
				schema, ok := properties(root)[part].(object)
				if !ok {
					continue
				}
				fmt.Fprintf(out, "\n### %s %s\n\n%s\n\n| field | type | meaning |\n| --- | --- | --- |\n", spec.Names.Kind, part, text(schema))
				for _, rule := range rules(schema) {
					fmt.Fprintf(out, "| (%s) | | %s |\n", part, rule)
				}
				rows(out, "", schema)
			}
		}
	}
	return nil
}

func rows(out io.Writer, prefix string, schema object) {
	fields := properties(schema)
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	sort.Strings(names)
	required, _ := schema["required"].([]any)
	for _, name := range names {
		field := fields[name].(object)
		shown := "`" + prefix + name + "`"
		if slices.Contains(required, any(name)) {
			shown = "**" + shown + "**"
		}
		inner, suffix := field, "."
		if items, ok := field["items"].(object); ok {
			inner, suffix = items, "[]."
		}
		notes := append([]string{text(field)}, limits(field)...)
		for _, rule := range append(rules(field), itemRules(field)...) {
			notes = append(notes, "Rule: "+rule+".")
		}
		fmt.Fprintf(out, "| %s | %s | %s |\n", shown, kind(field), strings.TrimSpace(strings.Join(notes, " ")))
		rows(out, prefix+name+suffix, inner)
	}
}

func properties(schema object) object {
	fields, _ := schema["properties"].(object)
	return fields
}

func text(schema object) string {
	description, _ := schema["description"].(string)
	return escape(strings.ReplaceAll(description, "\n\n", " "))
}

func escape(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(text)
}

func kind(schema object) string {
	switch {
	case schema["items"] != nil:
		return "list of " + kind(schema["items"].(object))
	case schema["additionalProperties"] != nil:
		return "map of string"
	case schema["x-kubernetes-int-or-string"] == true:
		return "integer or string"
	}
	name, _ := schema["type"].(string)
	return name
}

// limits are the bounds, values and default of a field, each a sentence.
func limits(schema object) []string {
	var said []string
	say := func(label string, value any) {
		if value != nil {
			shown, _ := json.Marshal(value)
			said = append(said, fmt.Sprintf("%s: `%s`.", label, escape(string(shown))))
		}
	}
	say("One of", schema["enum"])
	say("Default", schema["default"])
	for _, bound := range [][2]string{
		{"minimum", "Least"}, {"maximum", "Most"}, {"minLength", "Least characters"}, {"maxLength", "Most characters"},
		{"minItems", "Least entries"}, {"maxItems", "Most entries"}, {"minProperties", "Least keys"}, {"maxProperties", "Most keys"},
	} {
		say(bound[1], schema[bound[0]])
	}
	return said
}

func rules(schema object) []string {
	var said []string
	all, _ := schema["x-kubernetes-validations"].([]any)
	for _, rule := range all {
		rule := rule.(object)
		message, _ := rule["message"].(string)
		if path, ok := rule["fieldPath"].(string); ok {
			message = "`" + strings.TrimPrefix(path, ".") + "` " + message
		}
		said = append(said, escape(message))
	}
	return said
}

func itemRules(schema object) []string {
	for _, inner := range []string{"items", "additionalProperties"} {
		if of, ok := schema[inner].(object); ok {
			return rules(of)
		}
	}
	return nil
}
