// Runs promtool's tests of rules, in promtool's file format, with all that PromQL can do: promtool
// 3.14 itself checks `anchored` ranges but refuses to evaluate them in tests.
package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/util/teststorage"
	"go.yaml.in/yaml/v3"
)

type document struct {
	RuleFiles []string       `yaml:"rule_files"`
	Every     model.Duration `yaml:"evaluation_interval"`
	Tests     []test         `yaml:"tests"`
}

type test struct {
	Name   string         `yaml:"name"`
	Every  model.Duration `yaml:"interval"`
	Series []struct {
		Name   string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	Expected []expectation `yaml:"promql_expr_test"`
}

type expectation struct {
	Expr    string         `yaml:"expr"`
	At      model.Duration `yaml:"eval_time"`
	Samples []struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	} `yaml:"exp_samples"`
}

type point struct {
	series labels.Labels
	at     time.Time
	value  float64
}

var language = parser.NewParser(parser.Options{EnableExtendedRangeSelectors: true})

func main() {
	failed := 0
	for _, path := range os.Args[1:] {
		problems := run(path)
		for _, problem := range problems {
			fmt.Printf("%s: %v\n", path, problem)
		}
		failed += len(problems)
	}
	if failed > 0 || len(os.Args) < 2 {
		fmt.Printf("%d expectations failed\n", failed)
		os.Exit(1)
	}
}

func run(path string) []error {
	text, err := os.ReadFile(path)
	if err != nil {
		return []error{err}
	}
	var given document
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&given); err != nil {
		return []error{err}
	}
	for i, file := range given.RuleFiles {
		given.RuleFiles[i] = filepath.Join(filepath.Dir(path), file)
	}
	found := make([][]error, len(given.Tests))
	free := make(chan struct{}, runtime.NumCPU())
	var running sync.WaitGroup
	for i, one := range given.Tests {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			found[i] = one.run(given)
		})
	}
	running.Wait()
	var problems []error
	for i, one := range given.Tests {
		for _, problem := range found[i] {
			problems = append(problems, fmt.Errorf("%s: %w", one.Name, problem))
		}
	}
	return problems
}

// points are all samples of the test in the order of time.
func (t test) points() ([]point, error) {
	var all []point
	for _, line := range t.Series {
		series, values, err := language.ParseSeriesDesc(line.Name + " " + line.Values)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line.Name, err)
		}
		for i, value := range values {
			if !value.Omitted {
				at := time.Unix(0, 0).Add(time.Duration(i) * time.Duration(t.Every))
				all = append(all, point{series, at, value.Value})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b point) int { return a.at.Compare(b.at) })
	return all, nil
}

func (t test) run(given document) (problems []error) {
	storage, err := teststorage.NewWithError()
	if err != nil {
		return []error{err}
	}
	defer func() { problems = append(problems, nonNil(storage.Close())...) }()
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples:           10_000_000,
		Timeout:              time.Minute,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		Parser:               language,
	})
	defer func() { problems = append(problems, nonNil(engine.Close())...) }()
	asked, err := t.asked()
	if err != nil {
		return []error{err}
	}
	groups, err := load(engine, storage, given, asked)
	if err != nil {
		return []error{err}
	}
	waiting, err := t.points()
	if err != nil {
		return []error{err}
	}
	ctx := context.Background()
	last := time.Duration(0)
	for _, expected := range t.Expected {
		last = max(last, time.Duration(expected.At))
	}
	for now := time.Duration(0); now <= last; now += time.Duration(given.Every) {
		moment := time.Unix(0, 0).Add(now)
		appender := storage.Appender(ctx)
		for len(waiting) > 0 && !waiting[0].at.After(moment) {
			next := waiting[0]
			if _, err := appender.Append(0, next.series, next.at.UnixMilli(), next.value); err != nil {
				return []error{err}
			}
			waiting = waiting[1:]
		}
		if err := appender.Commit(); err != nil {
			return []error{err}
		}
		for _, group := range groups {
			group.Eval(ctx, moment)
			for _, rule := range group.Rules() {
				if err := errors.Join(rule.LastError(), unreadable(rule)); err != nil {
					return []error{fmt.Errorf("%s at %s: %w", rule.Name(), now, err)}
				}
			}
		}
		for _, expected := range t.Expected {
			if time.Duration(expected.At) == now {
				problems = append(problems, nonNil(expected.check(ctx, engine, storage, moment))...)
			}
		}
	}
	return problems
}

// unreadable tells of texts of active alerts whose template could not be filled in.
func unreadable(rule rules.Rule) (problem error) {
	alert, is := rule.(*rules.AlertingRule)
	if !is {
		return nil
	}
	for _, active := range alert.ActiveAlerts() {
		active.Annotations.Range(func(text labels.Label) {
			if strings.Contains(text.Value, "error expanding") || strings.Contains(text.Value, "<no value>") {
				problem = fmt.Errorf("%s: %s", text.Name, text.Value)
			}
		})
	}
	return problem
}

func nonNil(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}

// asked are the selectors of what the test expects.
func (t test) asked() ([]*parser.VectorSelector, error) {
	var found []*parser.VectorSelector
	for _, expected := range t.Expected {
		expr, err := language.ParseExpr(expected.Expr)
		if err != nil {
			return nil, err
		}
		found = append(found, selectors(expr)...)
	}
	return found, nil
}

func selectors(expr parser.Expr) (found []*parser.VectorSelector) {
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if selector, is := node.(*parser.VectorSelector); is {
			found = append(found, selector)
		}
		return nil
	})
	return found
}

// makes tells whether a rule makes series that a selector may choose.
func makes(rule rules.Rule, selector *parser.VectorSelector) bool {
	made := labels.FromStrings(labels.MetricName, rule.Name())
	if _, is := rule.(*rules.AlertingRule); is {
		made = labels.FromStrings(labels.MetricName, "ALERTS", "alertname", rule.Name())
	}
	for _, matcher := range selector.LabelMatchers {
		if value := made.Get(matcher.Name); value != "" && !matcher.Matches(value) {
			return false
		}
	}
	return true
}

// needed keeps the rules on which the selectors depend: others cost most of the time and show nothing.
func needed(all []rules.Rule, asked []*parser.VectorSelector) map[rules.Rule]bool {
	kept := map[rules.Rule]bool{}
	for len(asked) > 0 {
		selector := asked[0]
		asked = asked[1:]
		for _, rule := range all {
			if !kept[rule] && makes(rule, selector) {
				kept[rule] = true
				asked = append(asked, selectors(rule.Query())...)
			}
		}
	}
	return kept
}

// load reads the groups of rules in the order of their files, and keeps of them what is needed.
func load(
	engine *promql.Engine, storage *teststorage.TestStorage, given document,
	asked []*parser.VectorSelector,
) ([]*rules.Group, error) {
	options := &rules.ManagerOptions{
		QueryFunc:  rules.EngineQueryFunc(engine, storage),
		Appendable: storage,
		Context:    context.Background(),
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {},
		Logger:     promslog.NewNopLogger(),
		Parser:     language,
	}
	manager := rules.NewManager(options)
	found, problems := manager.LoadGroups(
		time.Duration(given.Every), labels.EmptyLabels(), "", nil, false, given.RuleFiles...)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	var all []rules.Rule
	for _, group := range found {
		all = append(all, group.Rules()...)
	}
	kept := needed(all, asked)
	var groups []*rules.Group
	for _, file := range given.RuleFiles {
		for _, group := range found {
			if group.File() != file {
				continue
			}
			chosen := slices.DeleteFunc(group.Rules(), func(rule rules.Rule) bool { return !kept[rule] })
			groups = append(groups, rules.NewGroup(rules.GroupOptions{
				Name: group.Name(), File: file, Interval: group.Interval(), Rules: chosen, Opts: options,
			}))
			for _, rule := range chosen {
				if alert, is := rule.(*rules.AlertingRule); is {
					alert.SetRestored(true) // else no ALERTS are written
				}
			}
		}
	}
	return groups, nil
}

func (e expectation) check(
	ctx context.Context, engine *promql.Engine, storage *teststorage.TestStorage, at time.Time,
) error {
	query, err := engine.NewInstantQuery(ctx, storage, nil, e.Expr, at)
	if err != nil {
		return err
	}
	defer query.Close()
	vector, err := query.Exec(ctx).Vector()
	if err != nil {
		return err
	}
	expected := map[string]float64{}
	for _, sample := range e.Samples {
		series, err := language.ParseMetric(sample.Labels)
		if err != nil {
			return err
		}
		expected[series.String()] = sample.Value
	}
	same := len(vector) == len(expected)
	for _, sample := range vector {
		value, there := expected[sample.Metric.String()]
		same = same && there && math.Abs(value-sample.F) <= 1e-9*math.Max(1, math.Abs(value))
	}
	if !same {
		return fmt.Errorf("%s at %s:\n  expected %v\n  found    %v", e.Expr, e.At, expected, vector)
	}
	return nil
}
