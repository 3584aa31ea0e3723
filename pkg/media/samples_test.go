package media

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"testing"
)

// wav is one second of silence at the given rate: 8 bits, mono.
func wav(rate uint32) []byte {
	var b bytes.Buffer
	b.WriteString("RIFF")
	_ = binary.Write(&b, binary.LittleEndian, 36+rate)
	b.WriteString("WAVEfmt ")
	_ = binary.Write(&b, binary.LittleEndian, []uint32{16, 1 | 1<<16, rate, rate, 1 | 8<<16})
	b.WriteString("data")
	_ = binary.Write(&b, binary.LittleEndian, rate)
	b.Write(bytes.Repeat([]byte{0x80}, int(rate)))
	return b.Bytes()
}

// mp3 is silence: layer III, 128 kbit/s, 44.1 kHz, without a tag.
func mp3() []byte {
	frame := append([]byte{0xFF, 0xFB, 0x90, 0x00}, make([]byte, 413)...)
	return bytes.Repeat(frame, 10)
}

func mp3WithID3() []byte {
	tag := []byte("ID3\x03\x00\x00\x00\x00\x00\x10TIT2\x00\x00\x00\x05\x00\x00\x00test\x00")
	return append(tag, mp3()...)
}

func flac() []byte {
	info := []byte{
		0x10, 0x00, 0x10, 0x00, 0, 0, 0, 0, 0, 0, 0x0A, 0xC4, 0x40, 0xF0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	}
	return append([]byte("fLaC\x00\x00\x00\x22"), info...)
}

// opus is the first page of an Ogg stream.
func opus() []byte {
	return []byte("OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x13" +
		"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00")
}

func box(name string, content []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(content)))
	return append(append(b, name...), content...)
}

// mp4 is a movie without tracks, of the given major brand.
func mp4(brand string) []byte {
	mvhd := make([]byte, 100)
	binary.BigEndian.PutUint32(mvhd[12:], 1000)
	b := box("ftyp", []byte(brand+"\x00\x00\x02\x00"+brand))
	b = append(b, box("moov", box("mvhd", mvhd))...)
	return append(b, box("mdat", make([]byte, 64))...)
}

func webm() []byte {
	return []byte("\x1A\x45\xDF\xA3\x9F\x42\x86\x81\x01\x42\xF7\x81\x01\x42\xF2\x81\x04\x42\xF3\x81\x08" +
		"\x42\x82\x84webm\x42\x87\x81\x04\x42\x85\x81\x02")
}

func webp() []byte {
	b, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	if err != nil {
		panic(err)
	}
	return b
}

func picture(encode func(io.Writer, image.Image) error) []byte {
	var b bytes.Buffer
	if err := encode(&b, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func pngImage() []byte { return picture(png.Encode) }

func jpegImage() []byte {
	return picture(func(w io.Writer, i image.Image) error { return jpeg.Encode(w, i, nil) })
}

func gifImage() []byte {
	return picture(func(w io.Writer, i image.Image) error { return gif.Encode(w, i, nil) })
}

func TestSniff(t *testing.T) {
	tests := []struct {
		name    string
		content []byte
		mime    string
		kinds   []Kind
	}{
		{"wav", wav(8000), "audio/wav", []Kind{Audio}},
		{"mp3", mp3(), "audio/mpeg", []Kind{Audio}},
		{"mp3 with ID3", mp3WithID3(), "audio/mpeg", []Kind{Audio}},
		{"mp3 behind garbage", append(make([]byte, 40), mp3()...), "audio/mpeg", []Kind{Audio}},
		{"flac", flac(), "audio/flac", []Kind{Audio}},
		{"ogg opus", opus(), "audio/ogg", []Kind{Audio}},
		{"m4a", mp4("M4A "), "audio/x-m4a", []Kind{Audio}},
		{"mp4", mp4("isom"), "video/mp4", []Kind{Audio, Video}},
		{"mp4 2", mp4("mp42"), "video/mp4", []Kind{Audio, Video}},
		{"webm", webm(), "video/webm", []Kind{Audio, Video}},
		{"quicktime", mp4("qt  "), "video/quicktime", []Kind{Video}},
		{"png", pngImage(), "image/png", []Kind{Image}},
		{"jpeg", jpegImage(), "image/jpeg", []Kind{Image}},
		{"gif", gifImage(), "image/gif", []Kind{Image}},
		{"webp", webp(), "image/webp", []Kind{Image}},
		{"html", []byte("<!DOCTYPE html><html><body>404</body></html>"), "text/html", nil},
		{"json", []byte(`{"code":404,"msg":"not found"}`), "application/json", nil},
		{"text", []byte("not found"), "text/plain", nil},
		{"xml", []byte(`<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`), "text/xml", nil},
		{"svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`), "image/svg+xml", nil},
		{"playlist", []byte("#EXTM3U\n#EXT-X-VERSION:3\n"), "application/vnd.apple.mpegurl", nil},
		{"gzip", []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"), "application/gzip", nil},
		{"zeros", make([]byte, 4000), "application/octet-stream", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			mime := contentType(test.content[:min(sniffBytes, len(test.content))])
			if mime != test.mime {
				t.Errorf("content type %q, want %q", mime, test.mime)
			}
			for _, kind := range []Kind{Audio, Image, Video, "document", ""} {
				want := false
				for _, k := range test.kinds {
					want = want || k == kind
				}
				if got := isKind(mime, kind); got != want {
					t.Errorf("isKind(%q, %q) = %t", mime, kind, got)
				}
			}
		})
	}
}
