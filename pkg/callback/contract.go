package callback

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"fanfare/schemas"
)

// schemaBase is where the compiler believes the embedded files to be; it lets
// them refer to each other by file name.
const schemaBase = "embed:///"

// Contracts holds the contract of every type that has a schema.
type Contracts map[Type]*Contract

// Contract is what the provider promises for one type: its compiled schema, and
// the facts of the schema's annotation "x-fanfare".
type Contract struct {
	Type     Type
	schema   *jsonschema.Schema
	members  members // of any schema, for one may refer to another
	facts    facts
	decoders *sync.Pool // of *jsontext.Decoder, which keeps what it has learned to hold
}

type facts struct {
	SuccessCodes []int32 `json:"success_codes"` // codes that mean success
	Stages       []Stage `json:"stages"`        // stages that data.callbackType names; none: the type has no such member

	Details *Details `json:"details"` // how the provider is asked for a task; none: it cannot be
}

// LoadContracts compiles the embedded schemas: once, at start.
func LoadContracts() (Contracts, error) {
	names, err := fs.Glob(schemas.Files, "*.json")
	if err != nil {
		return nil, fmt.Errorf("callback: list schemas: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.RegisterFormat(&jsonschema.Format{Name: "media-url", Validate: checkMediaURL})
	compiler.RegisterFormat(&jsonschema.Format{Name: "int32", Validate: checkInt32})
	compiler.AssertFormat()

	annotated, named := make(map[Type]facts), make(members)
	for _, name := range names {
		doc, err := readSchema(name)
		if err != nil {
			return nil, err
		}
		compareAsFloats(compiler, doc)
		if err := compiler.AddResource(schemaBase+name, doc); err != nil {
			return nil, fmt.Errorf("callback: add schema %s: %w", name, err)
		}
		membersOf(named, doc)
		if err := readFacts(annotated, name); err != nil {
			return nil, err
		}
	}

	decoders := &sync.Pool{New: func() any { return new(jsontext.Decoder) }}
	contracts := make(Contracts, len(annotated))
	for t, f := range annotated {
		schema, err := compiler.Compile(schemaBase + string(t) + ".json")
		if err != nil {
			return nil, fmt.Errorf("callback: compile schema of %s: %w", t, err)
		}
		contracts[t] = &Contract{Type: t, schema: schema, members: named, facts: f, decoders: decoders}
	}
	return contracts, nil
}

func readSchema(name string) (any, error) {
	raw, err := schemas.Files.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("callback: read schema: %w", err)
	}
	var doc any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("callback: parse schema %s: %w", name, err)
	}
	return doc, nil
}

// readFacts adds the annotation of the schema name to annotated, if it has one:
// only then is it a callback type.
func readFacts(annotated map[Type]facts, name string) error {
	raw, err := schemas.Files.ReadFile(name)
	if err != nil {
		return fmt.Errorf("callback: read schema: %w", err)
	}
	var doc struct {
		Facts *facts `json:"x-fanfare"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return fmt.Errorf("callback: annotation of schema %s: %w", name, err)
	}
	if doc.Facts == nil {
		return nil
	}
	t, err := ParseType(strings.TrimSuffix(path.Base(name), ".json"))
	if err != nil {
		return err
	}
	if len(doc.Facts.SuccessCodes) == 0 {
		return fmt.Errorf("callback: schema %s: x-fanfare names no success code", name)
	}
	if err := doc.Facts.Details.validate(); err != nil {
		return fmt.Errorf("callback: schema %s: x-fanfare: %w", name, err)
	}
	annotated[t] = *doc.Facts
	return nil
}

// Types returns the types in alphabetical order.
func (c Contracts) Types() []Type {
	types := make([]Type, 0, len(c))
	for t := range c {
		types = append(types, t)
	}
	slices.Sort(types)
	return types
}

// Succeeded reports whether code means success for this type.
func (c *Contract) Succeeded(code int32) bool {
	return slices.Contains(c.facts.SuccessCodes, code)
}

// Stages returns the stages that callbacks of this type can be in, Other among
// them where the type names its stages.
func (c *Contract) Stages() []Stage {
	if len(c.facts.Stages) == 0 {
		return []Stage{Complete, Error}
	}
	return append(slices.Clone(c.facts.Stages), Other)
}

// NamesStages reports whether data.callbackType names the stage; without it a
// callback's code alone tells complete from error.
func (c *Contract) NamesStages() bool { return len(c.facts.Stages) > 0 }

// Decode is [Contract.Identify] followed by [Contract.Accept].
func (c *Contract) Decode(body []byte) (Callback, error) {
	identified, err := c.Identify(body)
	if err != nil {
		return Callback{}, err
	}
	return c.Accept(identified)
}

// validate holds the document against the schema and explains the first
// deviation.
func (c *Contract) validate(document map[string]any) error {
	err := c.schema.Validate(document)
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("callback: validate %s: %w", c.Type, err)
	}
	return &Invalid{ReasonSchema, explain(invalid)}
}
