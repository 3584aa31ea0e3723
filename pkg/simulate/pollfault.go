package simulate

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// maxTaskFaults bounds the polls of one task that are answered badly.
const maxTaskFaults = 2

// pollExchange is one poll, to be answered badly.
type pollExchange struct {
	w        http.ResponseWriter
	draws    generator
	composer composer
	endpoint endpoint
	standing standing
}

// pollFaults are the ways in which a poll is answered badly. After all of them the
// same question has an answer.
func pollFaults() []func(*pollExchange) {
	return []func(*pollExchange){
		(*pollExchange).throttle, (*pollExchange).outage, (*pollExchange).maintenance, (*pollExchange).page,
		(*pollExchange).cut, (*pollExchange).hangUp, (*pollExchange).coded, (*pollExchange).other, (*pollExchange).localised,
		(*pollExchange).empty,
	}
}

func drawPollFault(g generator) func(*pollExchange) { return pick(g, pollFaults()...) }

func (x *pollExchange) throttle() {
	if x.draws.chance(70) {
		x.w.Header().Set("Retry-After", strconv.Itoa(1+x.draws.IntN(2)))
	}
	x.w.WriteHeader(http.StatusTooManyRequests)
	x.say(http.StatusTooManyRequests, "Your call frequency is too high. Please try again later")
}

// outage answers as a proxy does, or as the service itself.
func (x *pollExchange) outage() {
	status := pick(x.draws, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
	if x.draws.chance(50) {
		x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
		x.w.WriteHeader(status)
		_, _ = x.w.Write(page(http.StatusText(status)))
		return
	}
	x.w.WriteHeader(status)
	x.say(status, "Server exception, please try again later")
}

func (x *pollExchange) maintenance() {
	const code = 455
	if x.draws.chance(50) {
		x.w.WriteHeader(code)
	}
	x.say(code, "The website is being maintained. Please try again later")
}

// page answers a program as if it were a person.
func (x *pollExchange) page() {
	x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = x.w.Write(page("Just a moment"))
}

// coded is an error that says by its status that all is well.
func (x *pollExchange) coded() {
	code := pick(x.draws, http.StatusPaymentRequired, http.StatusMethodNotAllowed, http.StatusRequestTimeout, http.StatusTooManyRequests, 430, 433,
		http.StatusInternalServerError)
	x.say(code, "The request could not be served")
}

func (x *pollExchange) empty() { x.w.WriteHeader(http.StatusOK) }

// other answers for another task.
func (x *pollExchange) other() {
	x.composer.outline.id = drawTaskID(x.draws)
	x.write(x.composer.details(x.endpoint, x.standing))
}

// localised says what is so in a language that no page lists: the task seems to run.
func (x *pollExchange) localised() {
	x.write(object{{"code", integer(http.StatusOK)}, {"msg", "成功"}, {"data", object{
		{"taskId", string(x.composer.outline.id)}, {"status", "成功"}, {"successFlag", "成功"}, {"errorCode", nil}, {"response", nil},
	}}})
}

// cut sends the beginning of the answer and announces all of it.
func (x *pollExchange) cut() {
	body, err := drawLayout(x.draws).write(x.draws, x.composer.details(x.endpoint, x.standing))
	if err != nil {
		return
	}
	x.raw(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
		len(body), body[:1+x.draws.IntN(len(body)-1)]))
}

// hangUp closes the connection without a word.
func (x *pollExchange) hangUp() { x.raw(nil) }

// raw answers past net/http.
func (x *pollExchange) raw(answer []byte) {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(rawTimeout))
	_, _ = conn.Write(answer)
	if tcp, ok := conn.(*net.TCPConn); ok && answer == nil {
		_ = tcp.SetLinger(0)
	}
}

func (x *pollExchange) say(code int, message string) {
	_, _ = fmt.Fprintf(x.w, `{"code":%d,"msg":%q,"data":null}`, code, message)
}

func (x *pollExchange) write(value object) {
	body, err := drawLayout(x.draws).write(x.draws, value)
	if err != nil {
		return
	}
	x.w.Header().Set("Content-Type", "application/json")
	_, _ = x.w.Write(body)
}
