package subscribe_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"fanfare/pkg/broker"
	"fanfare/pkg/callback"
	"fanfare/pkg/natsd"
	"fanfare/pkg/result"
	"fanfare/pkg/subscribe"
)

// A service that is told of every callback for music.
func ExampleSubscriber_Callbacks() {
	url, stop := fanfare()
	defer stop()

	logger := slog.New(slog.DiscardHandler)
	b, err := broker.Connect(broker.Options{Logger: logger, Name: "billing", URL: url, Wait: true})
	if err != nil {
		panic(err)
	}
	defer b.Close()
	subscriber, err := subscribe.New(subscribe.Options{Logger: logger, Broker: b, Name: "billing"})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background()) // of a service: signal.NotifyContext
	defer cancel()

	err = subscriber.Callbacks(ctx, "music", func(_ context.Context, cb callback.Callback) error {
		fmt.Println(cb.TaskID, cb.Stage, cb.Code)
		if cb.Stage.Final() {
			cancel()
		}
		return nil // done; an error would bring it again
	})
	fmt.Println("ended:", err)

	// Output:
	// 5c79be8e error 501
	// ended: <nil>
}

// A service that is told when a task's files are safe.
func ExampleSubscriber_Results() {
	url, stop := fanfare()
	defer stop()

	logger := slog.New(slog.DiscardHandler)
	b, err := broker.Connect(broker.Options{Logger: logger, Name: "library", URL: url, Wait: true})
	if err != nil {
		panic(err)
	}
	defer b.Close()
	subscriber, err := subscribe.New(subscribe.Options{Logger: logger, Broker: b, Name: "library"})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	err = subscriber.Results(ctx, "wav", func(_ context.Context, doc result.Document) error {
		fmt.Println(doc.TaskID, doc.Outcome, doc.Archive)
		if doc.Archive == result.Archived {
			fmt.Println(doc.Media[0].Key)
			cancel()
		}
		return nil
	})
	fmt.Println("ended:", err)

	// Output:
	// 988ec8d3 succeeded pending
	// 988ec8d3 succeeded complete
	// wav/988ec8d3/audio.wav
	// ended: <nil>
}

// fanfare starts a server in this process that holds a failed music task's callback
// and a finished WAV task's result.
func fanfare() (url string, stop func()) {
	dir, err := os.MkdirTemp("", "fanfare-example-")
	must(err)
	logger := slog.New(slog.DiscardHandler)
	server, err := natsd.Start(natsd.Options{
		Logger: logger, Dir: dir, Listen: "127.0.0.1:0", MaxPayload: broker.MaxPayload, StoreMaxBytes: 1 << 30,
	})
	must(err)
	b, err := broker.Connect(broker.Options{Logger: logger, InProcess: server})
	must(err)
	contracts, err := callback.LoadContracts()
	must(err)
	ctx := context.Background()
	_, err = b.Provision(ctx, broker.Plan{Types: contracts.Types(), StoreMaxBytes: 1 << 30})
	must(err)

	cb, err := contracts["music"].Decode([]byte(`{"code":501,"msg":"Audio generation failed.","data":{"task_id":"5c79be8e","callbackType":"error"}}`))
	must(err)
	_, err = b.Publish(ctx, cb)
	must(err)

	done := callback.Callback{Type: "wav", TaskID: "988ec8d3", Stage: callback.Complete, Code: 200, Received: time.Now()}
	doc := result.New(done, []result.Media{{Name: "audio.wav", SourceURL: "https://media.example/audio.wav"}})
	_, err = b.Results().Merge(ctx, doc)
	must(err)
	doc.Media[0].Key, doc.Media[0].Bytes = doc.Key("audio.wav"), 44
	doc.Media[0].SHA256 = "7d5ab3cd3a3b8f8c4ad7c4e3b1d3fa7a8a0d6f4fb1f3d7ec40f64d6c2ce7cf66"
	doc.Settle(time.Now())
	_, err = b.Results().Merge(ctx, doc)
	must(err)

	return "nats://" + server.Addr().String(), func() {
		b.Close()
		server.Stop()
		must(os.RemoveAll(dir))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
