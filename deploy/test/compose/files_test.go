package compose_test

import (
	"os"
	"regexp"
	"testing"
)

// TestFilesAreThere wants what the compose files take from this repository to be there: Grafana cannot be started
// where its image cannot be had.
func TestFilesAreThere(t *testing.T) {
	t.Parallel()
	p := newProject(t, "docker-compose.yml")
	var config struct {
		Services map[string]struct {
			Volumes []struct{ Type, Source string }
		}
		Secrets map[string]struct{ File string }
	}
	decode(t, p.compose(t, "--profile", "*", "config", "--format", "json"), &config)
	paths := []string{config.Secrets["provider-key"].File}
	for _, service := range config.Services {
		for _, volume := range service.Volumes {
			if volume.Type == "bind" {
				paths = append(paths, volume.Source)
			}
		}
	}
	if len(paths) < 14 {
		t.Errorf("only %q", paths)
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestImagesAreWhatIsTested wants the images to have the versions with which all other tests are done.
func TestImagesAreWhatIsTested(t *testing.T) {
	t.Parallel()
	needEngine(t)
	for name, module := range map[string]struct{ file, version, image string }{
		"golang":          {"go.mod", `(?m)^go (\d+\.\d+)`, "golang:$1"},
		"nats":            {"go.mod", `nats-io/nats-server/v2 v(\S+)`, "nats:$1-alpine"},
		"prom/prometheus": {"deploy/test/go.mod", `prometheus/prometheus v0\.3(\d+)\.(\d+)`, "prom/prometheus:v3.$1.$2"}, // as Prometheus numbers its module
	} {
		content, err := os.ReadFile(root + "/" + module.file)
		if err != nil {
			t.Fatal(err)
		}
		expression := regexp.MustCompile(module.version)
		found := expression.FindSubmatchIndex(content)
		if found == nil {
			t.Fatalf("%s: no %s", module.file, module.version)
		}
		if want := string(expression.Expand(nil, []byte(module.image), content, found)); docker.image(t, name) != want {
			t.Errorf("the image is %s, want %s", docker.image(t, name), want)
		}
	}
}
