package callback

import (
	"errors"
	"fmt"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compareAsFloats rewrites doc, a schema about to be compiled, and the schemas in
// it: where one says "const" or "enum" of a number or "integer", it gets an equal
// format instead. A callback's numbers are float64; the library would print each
// of them, and parse it as a fraction of big integers, which takes as long as a
// fifth of all the rest.
func compareAsFloats(compiler *jsonschema.Compiler, doc any) {
	switch doc := doc.(type) {
	case []any:
		for _, part := range doc {
			compareAsFloats(compiler, part)
		}
	case map[string]any:
		if doc["type"] == "integer" && doc["format"] == "int32" {
			doc["type"] = "number"
		}
		if want := numbersOf(doc); want != nil && doc["format"] == nil {
			name := fmt.Sprint("one of ", want)
			compiler.RegisterFormat(&jsonschema.Format{Name: name, Validate: oneOf(want)})
			doc["type"], doc["format"] = "number", name
			delete(doc, "const")
			delete(doc, "enum")
		}
		for _, part := range doc {
			compareAsFloats(compiler, part)
		}
	}
}

// numbersOf returns the values that the schema doc admits by "const" or "enum",
// if all of them are numbers.
func numbersOf(doc map[string]any) (numbers []float64) {
	values, _ := doc["enum"].([]any)
	if value, ok := doc["const"]; ok {
		values = []any{value}
	}
	for _, value := range values {
		number, ok := value.(float64)
		if !ok {
			return nil
		}
		numbers = append(numbers, number)
	}
	return numbers
}

func oneOf(wanted []float64) func(any) error {
	return func(value any) error {
		if f, ok := value.(float64); ok && !slices.Contains(wanted, f) {
			return errors.New("another number")
		}
		return nil
	}
}

// checkInt32 is the format "int32" of OpenAPI's registry. A minimum and a maximum
// would say the same as fractions of big integers.
func checkInt32(value any) error {
	if f, ok := value.(float64); ok && float64(int32(f)) != f {
		return errors.New("not a 32-bit integer")
	}
	return nil
}
