package deploy_test

import (
	"debug/buildinfo"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestSBOMNamesWhatTheBinaryIsMadeOf makes an SBOM as the Makefile does, holds it
// against CycloneDX's own schema, and its components against what Go says of the binary.
func TestSBOMNamesWhatTheBinaryIsMadeOf(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "fanfare.cdx.json")
	recipe := regexp.MustCompile(`(?m)^\t\$\(TOOL\) (cyclonedx-gomod .*-version) \$\(VERSION\) -output fanfare\.cdx\.json fanfare$`).FindSubmatch(read(t, root+"/Makefile"))
	if len(recipe) != 2 {
		t.Fatal("the Makefile does not say how to make an SBOM")
	}
	args := append(strings.Fields(string(recipe[1])), "v1.2.3", "-output", file, built.fanfare(t))
	command := exec.CommandContext(t.Context(), "go", append([]string{"tool", "-modfile=.ci/tools/go.mod"}, args...)...)
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checkCycloneDX(t, file)

	var sbom struct {
		Metadata struct {
			Component struct {
				Name    string `json:"name"`
				Version string `json:"version"`
			} `json:"component"`
		} `json:"metadata"`
		Components []struct {
			Name     string           `json:"name"`
			Version  string           `json:"version"`
			Hashes   []map[string]any `json:"hashes"`
			Evidence struct {
				Licenses []map[string]any `json:"licenses"`
			} `json:"evidence"`
		} `json:"components"`
	}
	if err := json.Unmarshal(read(t, file), &sbom); err != nil {
		t.Fatal(err)
	}
	if of := sbom.Metadata.Component; of.Name != "fanfare" || of.Version != "v1.2.3" {
		t.Errorf("it is of %s %s", of.Name, of.Version)
	}
	named := make(map[string]string)
	for _, c := range sbom.Components {
		named[c.Name] = c.Version
		if c.Name != "std" && (len(c.Hashes) == 0 || len(c.Evidence.Licenses) == 0) {
			t.Errorf("%s has no hash, or no license", c.Name)
		}
	}
	binary, err := buildinfo.ReadFile(built.fanfare(t))
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]string{"std": binary.GoVersion}
	for _, module := range binary.Deps {
		made[module.Path] = module.Version
	}
	if len(made) < 20 || !maps.Equal(named, made) {
		t.Errorf("it names %v\nthe binary is made of %v", named, made)
	}
}

// checkCycloneDX holds a file against the schema that comes with the library of the
// tool that made it.
func checkCycloneDX(t *testing.T, file string) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-modfile=.ci/tools/go.mod", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go")
	list.Dir = root
	dir, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	for name, stored := range map[string]string{
		"bom-1.6.schema.json": "bom-1.6.schema.json", "spdx.schema.json": "spdx.schema.json", "jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		if err := compiler.AddResource("http://cyclonedx.org/schema/"+name, parse(t, filepath.Join(strings.TrimSpace(string(dir)), "schema", stored))); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(parse(t, file)); err != nil {
		t.Error(err)
	}
	if err := schema.Validate(map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.6", "component": "x"}); err == nil {
		t.Error("the schema accepts anything")
	}
}

func parse(t *testing.T, file string) any {
	t.Helper()
	opened, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	value, err := jsonschema.UnmarshalJSON(opened)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
