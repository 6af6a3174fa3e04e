package daemon

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Size is an amount of memory or disk in bytes. Its text is a number with B, KiB, MiB, GiB or TiB behind it or without.
type Size uint64

var sizeUnits = []struct {
	name string
	size Size
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// String is the shortest exact form, like 256MiB.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s >= u.size && s%u.size == 0 {
			return strconv.FormatUint(uint64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatUint(uint64(s), 10)
}

// ParseSize reads the text form of a Size.
func ParseSize(text string) (Size, error) {
	digits, unit := strings.TrimSpace(text), Size(1)
	for _, u := range sizeUnits {
		if d, ok := strings.CutSuffix(digits, u.name); ok {
			digits, unit = strings.TrimSpace(d), u.size
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > uint64(1<<63)/uint64(unit) {
		return 0, fmt.Errorf("%q isn't a size: write it like 256MiB or 2GiB", text)
	}
	return Size(n) * unit, nil
}

// Setting is one field of a Config in its text forms. It is a pflag.Value: setting it changes the Config.
type Setting struct {
	Name string // flag and key of the file: log-level
	Env  string // WEFT_LOG_LEVEL
	Arg  string // what stands for the value in help texts; empty for switches
	Help string // the field's comment
	File bool   // may stand in the file

	field reflect.Value
	fresh bool // nothing was set through this Setting yet, so the first value of a list replaces the default
}

// Settings are the fields of c, in their order. They point into c.
func (c *Config) Settings() []*Setting {
	v := reflect.ValueOf(c).Elem()
	comments := fieldComments()
	settings := make([]*Setting, 0, v.NumField())
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("weft")
		if name == "-" {
			continue
		}
		settings = append(settings, &Setting{
			Name:  name,
			Env:   "WEFT_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")),
			Arg:   f.Tag.Get("arg"),
			Help:  comments[f.Name],
			File:  f.Tag.Get("file") != "-",
			field: v.Field(i),
			fresh: true,
		})
	}
	return settings
}

// fieldComments reads the comments of Config's fields out of the source itself, so that there is one text only.
var fieldComments = sync.OnceValue(func() map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", configSource, parser.ParseComments)
	if err != nil {
		panic("daemon: couldn't parse the embedded config.go: " + err.Error()) // it was compiled from the same bytes
	}
	comments := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		t, ok := n.(*ast.TypeSpec)
		if !ok || t.Name.Name != "Config" {
			return true
		}
		for _, f := range t.Type.(*ast.StructType).Fields.List {
			for _, name := range f.Names {
				comments[name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
			}
		}
		return false
	})
	return comments
})

// String is the present value, as Set reads it.
func (s *Setting) String() string {
	if !s.field.IsValid() { // pflag asks zero values
		return ""
	}
	switch x := s.field.Interface().(type) {
	case []string:
		return strings.Join(x, ",")
	case slog.Level:
		return strings.ToLower(x.String())
	default:
		return fmt.Sprint(x)
	}
}

// Type is the name of the value in help texts.
func (s *Setting) Type() string { return s.Arg }

// Set reads one value. A list takes several, separated by commas or by further calls; its first one replaces the default.
func (s *Setting) Set(text string) error {
	value, err := parseSetting(s.field.Interface(), text)
	if err != nil {
		return err
	}
	if list, ok := value.([]string); ok && !s.fresh {
		value = append(s.field.Interface().([]string), list...)
	}
	s.fresh = false
	s.field.Set(reflect.ValueOf(value))
	return nil
}

// IsSwitch says whether the setting is a yes or no.
func (s *Setting) IsSwitch() bool { return s.field.Kind() == reflect.Bool }

// parseSetting reads text into a value of the type of old.
func parseSetting(old any, text string) (any, error) {
	switch old.(type) {
	case string:
		return text, nil
	case []string:
		return splitList(text), nil
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither true nor false", text)
		}
		return b, nil
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("%q isn't a whole number", text)
		}
		return n, nil
	case Size:
		return ParseSize(text)
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return nil, fmt.Errorf("%q isn't a duration: write it like 5s or 1m30s", text)
		}
		return d, nil
	case slog.Level:
		var l slog.Level
		if err := l.UnmarshalText([]byte(text)); err != nil {
			return nil, fmt.Errorf("%q isn't a log level: use debug, info, warn or error", text)
		}
		return l, nil
	default:
		panic(fmt.Sprintf("daemon: a setting of type %T has no text form", old))
	}
}

func splitList(text string) []string {
	list := []string{}
	for s := range strings.SplitSeq(text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}
