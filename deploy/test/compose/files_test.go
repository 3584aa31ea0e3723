package compose_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
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

// TestEveryTypeHasItsConsumer wants a service for each type that there is, with its own seed, and Prometheus to look for
// it.
func TestEveryTypeHasItsConsumer(t *testing.T) {
	t.Parallel()
	p := newProject(t, "docker-compose.yml")
	var config struct {
		Services map[string]struct {
			Command     []string
			Environment map[string]string
		}
	}
	decode(t, p.compose(t, "--profile", "*", "config", "--format", "json"), &config)
	scraped, err := os.ReadFile(root + "/deploy/prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	jobs := strings.NewReplacer("[", " ", ",", " ", "]", " ").Replace(string(scraped))
	folders, err := os.ReadDir(root + "/consumers")
	if err != nil {
		t.Fatal(err)
	}
	folders = slices.DeleteFunc(folders, func(f os.DirEntry) bool { return !f.IsDir() })
	if len(folders) < 4 {
		t.Fatalf("only %v", folders)
	}
	for _, folder := range folders {
		typ := folder.Name()
		service := config.Services[typ]
		if !slices.Equal(service.Command, []string{"consumer", typ}) {
			t.Errorf("%s: the command is %q", typ, service.Command)
		}
		seed := "consumer-" + typ + ".nk"
		if service.Environment["FANFARE_NATS_NKEY_FILE"] != "/secrets/"+seed {
			t.Errorf("%s: the seed is %q", typ, service.Environment["FANFARE_NATS_NKEY_FILE"])
		}
		if given := strings.Join(config.Services["permissions"].Command, "\n"); !strings.Contains(given, " "+seed+"\n") {
			t.Errorf("nobody gives it %s", seed)
		}
		if !slices.Contains(strings.Fields(jobs), typ) {
			t.Errorf("Prometheus does not look for %s", typ)
		}
	}
}

// TestGoKnowsTheMemoryLimits wants every Go program to be told of somewhat less than its container's limit, so that it
// collects its garbage in time instead of being killed.
func TestGoKnowsTheMemoryLimits(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"docker-compose.yml", "deploy/compose.single.yml"} {
		var config struct {
			Services map[string]struct {
				Environment map[string]string
				Deploy      struct {
					Resources struct{ Limits struct{ Memory string } }
				}
			}
		}
		decode(t, newProject(t, file).compose(t, "--profile", "*", "config", "--format", "json"), &config)
		for name, service := range config.Services {
			if name == "haproxy" {
				continue // which is no Go program
			}
			limit, err := strconv.Atoi(service.Deploy.Resources.Limits.Memory)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			told, err := strconv.Atoi(strings.TrimSuffix(service.Environment["GOMEMLIMIT"], "MiB"))
			if share := float64(told<<20) / float64(limit); err != nil || share < 0.85 || share > 0.9 {
				t.Errorf("%s: GOMEMLIMIT is %q, of %d bytes", name, service.Environment["GOMEMLIMIT"], limit)
			}
		}
	}
}

// TestImagesAreWhatIsTested wants the images to have the versions with which all other tests are done. No other test
// has HAProxy, and where its image cannot be pulled, Debian's takes its place here; Grafana is never started.
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
