"""The official openai client for Python against /v1: what it reads must be what it expects."""
import os

import openai

client = openai.OpenAI(base_url=os.environ["BYLINE_URL"] + "/v1", api_key=os.environ["BYLINE_TOKEN"], max_retries=0)
question = [{"role": "user", "content": "When was the boiler installed?"}]

assert [m.id for m in client.models.list()] == ["byline", "byline-embedding", "openai/fake-1", "openai/fake-2"]

answer = client.chat.completions.create(model="byline", messages=question, extra_body={"byline": {"top_k": 3}})
message = answer.choices[0].message
assert "[1]" in message.content and answer.usage.total_tokens > 0
for a in message.annotations:
    c = a.url_citation
    assert a.type == "url_citation" and message.content[c.start_index:c.end_index] == "[1]" and c.title == "heating.md"

text, usage = "", None
for chunk in client.chat.completions.create(model="byline", messages=question, stream=True, stream_options={"include_usage": True}):
    usage = chunk.usage or usage
    for choice in chunk.choices:
        text += choice.delta.content or ""
assert text == message.content and usage.total_tokens > 0

with client.chat.completions.stream(model="fake-1", messages=[{"role": "user", "content": "ping"}]) as stream:
    assert stream.get_final_completion().choices[0].message.content == "pong pong"

called = client.chat.completions.create(model="fake-1", messages=[{"role": "user", "content": "use the tool"}], tools=[{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}])
assert called.choices[0].message.tool_calls[0].function.arguments == '{"at":1}'

packed = client.embeddings.create(model="byline-embedding", input=["The boiler is old."]).data[0].embedding
plain = client.embeddings.create(model="byline-embedding", input="The boiler is old.", encoding_format="float").data[0].embedding
assert len(plain) > 50 and all(abs(a - b) < 1e-6 for a, b in zip(plain, packed, strict=True))

for wrong, kind in ((dict(model="byline", messages=question, n=2), openai.BadRequestError), (dict(model="byline-embedding", messages=question), openai.NotFoundError)):
    try:
        client.chat.completions.create(**wrong)
    except kind as e:
        assert e.code in ("unsupported_value", "model_not_found"), e
    else:
        raise AssertionError(wrong)
try:
    openai.OpenAI(base_url=os.environ["BYLINE_URL"] + "/v1", api_key="wrong", max_retries=0).models.list()
except openai.AuthenticationError as e:
    assert e.code == "invalid_api_key"
else:
    raise AssertionError("a wrong key is taken")
print("ok")
