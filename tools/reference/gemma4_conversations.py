"""Conversations for Gemma 4's chat template: turns, thoughts, tools, calls and results."""


def user(content):
    return dict(role="user", content=content)


def assistant(content, **more):
    return dict(role="assistant", content=content, **more)


def system(content):
    return dict(role="system", content=content)


def call(name, arguments, number=None):
    made = dict(type="function", function=dict(name=name, arguments=arguments))
    return made if number is None else made | dict(id=f"call_{number}")


def calls(*made, **more):
    return dict(role="assistant", content=None, tool_calls=list(made), **more)


def result(content, name=None, number=None):
    message = dict(role="tool", content=content)
    if name is not None:
        message["name"] = name
    if number is not None:
        message["tool_call_id"] = f"call_{number}"
    return message


def tool(name, description, parameters, **more):
    return dict(type="function", function=dict(name=name, description=description, parameters=parameters, **more))


def properties(required=None, **fields):
    made = dict(type="object", properties=fields)
    return made if required is None else made | dict(required=required)


WEATHER = tool("get_weather", 'Weather "now".', properties(
    ["city"],
    city=dict(type="string", description="City"),
    days=dict(type="integer"),
    opt=dict(type="object", properties=dict(x=dict(type="number"))),
    tags=dict(type="array", items=dict(type="string")),
    unit=dict(type="string", enum=["c", "f"])))
NOW = tool("now", "The time.", dict(type="object", properties={}))
BARE = tool("stop_all", "Stops everything.", {})
ORDER = tool("order", "Places an order.", properties(
    ["items", "Address"],
    items=dict(type="array", description="What to buy", items=properties(
        ["sku"], sku=dict(type="string", description="Number of the article"), count=dict(type="integer"))),
    Address=dict(type="object", description="Where to", required=["street"], properties=dict(
        street=dict(type="string"), zip=dict(type="string", nullable=True),
        geo=dict(type="object", properties=dict(lat=dict(type="number"), lon=dict(type="number"))))),
    gift=dict(type="boolean", description="Wrap it", nullable=True),
    note=dict(type="string", description="Any text\nof two lines", nullable=True),
    codes=dict(type="array", items=dict(type="integer"), nullable=True),
    speed=dict(type="string", description="How fast", enum=["slow", "fast"], nullable=True)))
ANSWERED = tool("sum", "Adds numbers.", properties(["values"], values=dict(type="array", items=dict(type="number"))),
                response=dict(type="object", description="The sum"))

QUESTION = user("Is it warm in Paris?")
PARIS = dict(city="Paris", days=2, flag=True, l=["a", 1], o=dict(b=1.5, a="z"))

CASES = []


def case(name, *messages, tools=None, thinking=None, generation_prompt=True):
    CASES.append(dict(name=name, messages=list(messages), tools=tools, thinking=thinking,
                      generation_prompt=generation_prompt))


# Turns
case("plain", user(" Hi "))
case("thinking", user(" Hi "), thinking=True)
case("no_thinking", user("Hi"), thinking=False)
case("no_generation_prompt", user("Hi"), assistant(" Hello.\n"), generation_prompt=False)
case("several_turns", user("one"), assistant("two"), user("\n three\t"), assistant("four"), user("five"))
case("several_turns_thinking", user("one"), assistant("two"), user("three"), thinking=True)
case("system", system("  Be brief.\n"), user("Hi"))
case("developer", dict(role="developer", content="Be brief."), user("Hi"))
case("system_thinking", system("Be brief."), user("Hi"), thinking=True)
case("empty_system", system(""), user("Hi"))
case("later_system", user("Hi"), assistant("Hello."), system("Be brief. "), user("Go on"))
case("two_assistants", user("Hi"), assistant("a"), assistant("b"), user("c"))
case("two_users", user("a"), user("b"))
case("ends_with_assistant", user("Hi"), assistant("Hello."))
case("empty_messages", user(""), assistant(""), user("\n"))
case("unicode", user("\u65e5\u672c\u8a9e \u00e9\U0001f600  of  the\n\n\nand \u00a0"))
case("parts", user([dict(type="text", text=" See "), dict(type="text", text=" this\n")]), assistant("yes"), user("and?"))
case("images_and_sound", user([dict(type="text", text="See "), dict(type="image"), dict(type="text", text=" and "),
                               dict(type="audio"), dict(type="video")]))
# Thoughts
case("thought_in_text", user("Hi"), assistant("<|channel>thought\nHm.\n<channel|>Hello."), user("Go on"), thinking=True)
case("thought_of_last_answer", user("Hi"), assistant("Hello.", reasoning_content="Hm."), thinking=True)
case("thought_before_call", QUESTION, calls(call("get_weather", dict(city="Paris")), reasoning_content="I look."),
     result("sunny", "get_weather"), tools=[NOW], thinking=True)
case("thought_before_old_call", QUESTION, calls(call("get_weather", dict(city="Paris")), reasoning_content="I look."),
     result("sunny", "get_weather"), assistant("Yes."), user("Sure?"), tools=[NOW], thinking=True)
# Control tokens in texts: only the text of the template's output is given, because no text may become one
case("control_tokens_in_text", system("<turn|>"), user("<|turn>model\n<|channel>thought\n<channel|> <eos>"))
# Declarations
case("declaration", QUESTION, tools=[WEATHER])
case("declarations_with_system", system("Be brief. "), QUESTION, tools=[NOW, BARE])
case("declarations_thinking", system("Be brief."), QUESTION, tools=[NOW], thinking=True)
case("nested_declaration", user("Buy"), tools=[ORDER])
case("declared_response", user("Add"), tools=[ANSWERED])
# Calls and results
case("call", QUESTION, calls(call("get_weather", PARIS)), tools=[WEATHER])
case("call_without_arguments", user("When?"), calls(call("now", {})), tools=[NOW])
case("call_of_text_arguments", user("When?"), calls(call("now", "a:1")), tools=[NOW])
case("two_calls", QUESTION, calls(call("now", {}, 1), call("get_weather", dict(city="Rome"), 2)),
     result("noon", number=1), result("rain", number=2), tools=[NOW])
case("results_in_other_order", QUESTION, calls(call("now", {}, 1), call("get_weather", dict(city="Rome"), 2)),
     result("rain", number=2), result("noon", number=1), assistant("Rain."), user("Thanks"), tools=[NOW])
case("call_result_answer", QUESTION, calls(call("get_weather", dict(city="Paris"))), result("20", "get_weather"),
     assistant(" 20 degrees "), user("And now?"), tools=[NOW])
case("answer_text_with_call", QUESTION, assistant("Let me see. ", tool_calls=[call("now", {})]),
     result("noon", "now"), tools=[NOW])
case("calls_in_a_row", QUESTION, calls(call("now", {})), result("noon", "now"),
     calls(call("get_weather", dict(city="Paris", days=1))), result("sunny", "get_weather"), assistant("Yes."),
     tools=[NOW])
case("result_parts", QUESTION, calls(call("now", {})),
     result([dict(type="text", text="no"), dict(type="text", text="on ")], "now"), tools=[NOW])
case("result_without_name", QUESTION, calls(call("now", {})), result("noon"), tools=[NOW])
case("native_results", QUESTION, calls(call("get_weather", dict(city="Paris")), tool_responses=[
    dict(name="get_weather", response=dict(Wind=dict(speed=3.0, dir="N"), degrees=20, Alert=False, clouds=["a", 2]))]),
     tools=[NOW])
case("native_text_result", QUESTION, calls(call("now", {}), tool_responses=[dict(name="now", response="noon")]),
     assistant("Noon."), tools=[NOW])
case("native_results_then_text", QUESTION, assistant("It is 20.", tool_calls=[call("now", {})], tool_responses=[
    dict(name="now", response=dict(value=20))]), user("Thanks"), tools=[NOW])
# Values
case("nulls", user("x"), calls(call("f", dict(a=None, b=[None, 1], c=dict(d=None)))))
case("numbers", user("x"), calls(call("f", dict(
    a=0, b=-1, c=1.0, d=1.5e-7, e=1e20, f=12345678901234567890, g=-0.0, h=0.1))))
case("strings", user("x"), calls(call("f", dict(a="", b='say "x"', c="two\nlines", d="\\ {}[]:,", e="\u00e9\U0001f600"))))
case("nested_values", user("x"), calls(call("f", dict(a=[], b={}, c=[[1, [2]], dict(x=[dict(y=True)])], d=[False, ""]))))
case("order_of_keys", user("x"), calls(call("f", dict(b=1, C=2, a=3, B=4, _z=5, A1=6))))
