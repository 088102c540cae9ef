// Gen turns OpenAPI into what the checks of the chart and the documentation need:
//
//	gen schemas OUT SWAGGER KINDS CRD...   JSON schemas for kubeconform: of the built-in kinds named, and of each CRD
//	gen reference CRD...                   docs/reference.md
//	gen keys VALUES SCHEMA                 nothing, or what one of the two has and the other lacks
package main

import (
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

type object = map[string]any

// crd is what of a CustomResourceDefinition is used here.
type crd struct {
	Spec struct {
		Group string
		Scope string
		Names struct {
			Kind       string
			ShortNames []string
		}
		Versions []struct {
			Name   string
			Schema struct{ OpenAPIV3Schema object }
		}
	}
}

func main() {
	var err error
	switch {
	case len(os.Args) > 4 && os.Args[1] == "schemas":
		err = schemas(os.Args[2], os.Args[3], strings.Split(os.Args[4], ","), os.Args[5:])
	case len(os.Args) > 2 && os.Args[1] == "reference":
		err = reference(os.Stdout, os.Args[2:])
	case len(os.Args) == 4 && os.Args[1] == "keys":
		err = keys(os.Args[2], os.Args[3])
	default:
		err = fmt.Errorf("usage: gen schemas OUT SWAGGER KINDS CRD... | gen reference CRD... | gen keys VALUES SCHEMA")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func readCRD(path string) (crd, error) {
	var read crd
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, &read)
	}
	if err != nil {
		return read, fmt.Errorf("%s: %w", path, err)
	}
	return read, nil
}
