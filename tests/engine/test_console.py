import logging

from stgt_mm.engine.console import short_console


def test_pages_go_to_the_file_alone_and_warnings_everywhere(tmp_path, capsys):
    logger = logging.Logger('console', logging.INFO)
    logger.addHandler(logging.StreamHandler())
    logger.addHandler(logging.FileHandler(tmp_path / 'run.log'))
    assert short_console(short_console(logger)) is logger
    assert len(logger.handlers[0].filters) == 1
    logger.info('one line')
    logger.info('page\n' * 30)
    logger.warning('broken\n' * 30)
    shown, filed = capsys.readouterr().err, (tmp_path / 'run.log').read_text()
    assert 'one line' in shown and 'page' not in shown and shown.count('broken') == 30
    assert filed.count('page') == 30 and filed.count('broken') == 30
